"""The number of examples of the fuzz: few in the suite, many by hand."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

_USUAL = 30


def law(examples: int) -> settings:
    """Settings with a number of examples in the suite; a profile with more examples multiplies it.

    With ``HYPOTHESIS_PROFILE=soak`` the tests run for hours.
    """
    profile = settings.get_profile(settings.get_current_profile_name())
    return settings(
        max_examples=max(1, examples * profile.max_examples // _USUAL),
        deadline=None,
        # The suite checks changes of the code, so its examples stay; a soak draws new ones.
        derandomize=profile.max_examples == _USUAL,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        # Shrinking is left out: it takes minutes, and all that was drawn is printed.
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
    )
