"""Who is measured against whom: each in the best form that its users would write."""
