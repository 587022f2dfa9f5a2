"""What AWS is told, what it costs, and what its errors mean."""
