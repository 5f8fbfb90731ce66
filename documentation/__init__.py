"""What the documentation's site is made with: hooks of MkDocs, and pages made from the code."""
