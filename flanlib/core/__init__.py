"""What every step uses: errors, paths, settings, files, devices, progress."""
