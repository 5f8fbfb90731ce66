"""What several tests build on: small studies, made-up runs and devices, small files."""
