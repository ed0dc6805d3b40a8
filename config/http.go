package config

func (r *reader) http(o *object, c *Config) {
	f, ok := o.get("http")
	if !ok {
		return
	}
	h := r.object(f, "listen", "token", "read_token", "tls")
	if address, ok := h.address("listen"); ok {
		c.HTTP.Listen = address
	}
	if t, ok := h.text("token"); ok {
		c.HTTP.Token = t.value
	}
	if t, ok := h.text("read_token"); ok {
		c.HTTP.ReadToken = t.value
	}
	f, ok = h.get("tls")
	if !ok {
		return
	}
	tls := r.object(f, "cert", "key")
	tls.need("cert", "name the file of the server's certificate")
	tls.need("key", "name the file of the certificate's private key")
	if t, ok := tls.text("cert"); ok {
		c.HTTP.TLS.Cert = t.value
	}
	if t, ok := tls.text("key"); ok {
		c.HTTP.TLS.Key = t.value
	}
}
