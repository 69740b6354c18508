"""How many examples the fuzz runs: few in the suite, many by hand."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

_USUAL = 50


def law(examples: int) -> settings:
    """Settings of so many examples in the suite; as many times as the profile has more of them.

    ``HYPOTHESIS_PROFILE=soak`` runs them for hours.
    """
    profile = settings.get_profile(settings.get_current_profile_name())
    return settings(
        max_examples=max(1, examples * profile.max_examples // _USUAL),
        deadline=None,
        # The suite tells of changes to the code, so its examples stay; new ones are sought by hand.
        derandomize=profile.max_examples == _USUAL,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        # Smaller images of the same fault cost minutes, and all that was drawn is printed.
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
    )
