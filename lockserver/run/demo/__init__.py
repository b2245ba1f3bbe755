"""The story: the whole main job, played on real parts, one line per step."""
