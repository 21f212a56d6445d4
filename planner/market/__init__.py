"""The market: offers, GPU offers, disks, snapshots."""
