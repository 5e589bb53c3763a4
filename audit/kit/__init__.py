"""What probe writers borrow: perturbations, behaviours, searches.  Knows the types, no model and no suite."""
