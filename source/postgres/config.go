package postgres

// Config is what the file says under pipelines[].source.postgres.
type Config struct {
	URL         string // postgres://user@host1,host2/database?sslmode=verify-full&target_session_attrs=read-write
	Password    string // apart from the URL, so that no character needs escaping; "": as the URL or PGPASSFILE says
	Slot        string // default: kafkasync_<pipeline>
	Publication string // default: kafkasync_<pipeline>
}
