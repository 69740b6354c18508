"""Where bytes are stored: folders, zip archives, servers; each read is checked to be whole."""
