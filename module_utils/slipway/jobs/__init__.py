"""Jobs of a site's Hudson or Jenkins: what they are made of, asserting and starting them."""
