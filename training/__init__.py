"""From reviewed mail to a model that has earned its place."""
