"""From the settings in force to what switching AI clients needs: the composition root of `ai`."""
