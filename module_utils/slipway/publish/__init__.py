"""From packaged files to published ones: upload, directories, links, pages, channels, announcement."""
