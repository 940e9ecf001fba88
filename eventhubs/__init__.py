"""All that speaks Azure Event Hubs: settings, receivers, sender, Spark data source, hub. Usable alone."""
