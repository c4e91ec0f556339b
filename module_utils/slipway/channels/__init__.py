"""All places where releases and archives can be had, watched over and over: which of them differs, and since when."""
