"""Files that run inside a training job. They are shipped into it, so they import only each other and the other shipped
files of `modelops`: `grammar.py` and `loopback.py`."""
