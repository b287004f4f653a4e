"""Files wherever they are: disks, object stores, HTTP servers."""
