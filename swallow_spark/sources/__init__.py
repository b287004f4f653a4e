"""Sources: where records come from. One file each."""
