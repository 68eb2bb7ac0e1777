"""Pictures of what lies in outputs/: an annex that reads the files and never imports the code that wrote them."""
