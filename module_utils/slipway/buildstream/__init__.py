"""Systems that BuildStream builds: its command, its log, its artifact caches."""
