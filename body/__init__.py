"""Facts and geometry of the SMPL-X body: tables, rotations, cameras, models."""
