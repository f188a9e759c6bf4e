"""`make bench-schedules`: ten thousand schedules, beside as many CronJobs and kopf timers."""
