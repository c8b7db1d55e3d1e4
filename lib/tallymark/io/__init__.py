"""The only room that touches the world: Spark sessions, object stores, Delta tables. Knows no business."""
