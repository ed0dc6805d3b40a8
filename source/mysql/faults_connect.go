package mysql

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/kafkasync/kafkasync"
)

// connectFault knows why no connection came about.
func (s *Source) connectFault(err error, host string) error {
	doing := "connecting to " + host
	var known *kafkasync.Fault
	if errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	fault := s.loginFault(err)
	if fault == nil {
		fault = s.tlsFault(err)
	}
	if fault == nil {
		fault = s.networkFault(err)
	}
	if fault == nil {
		return classify(err, doing)
	}
	fault.What, fault.Err = doing+": "+fault.What, err
	return fault
}

func (s *Source) loginFault(err error) *kafkasync.Fault {
	var answer *mysql.MyError
	if !errors.As(err, &answer) {
		return nil
	}
	wait := func(what, fix string) *kafkasync.Fault {
		return &kafkasync.Fault{Class: kafkasync.Wait, What: what, Fix: fix}
	}
	switch answer.Code {
	case mysql.ER_ACCESS_DENIED_ERROR, erAccessDeniedNoPassword:
		return wait(fmt.Sprintf("the server refuses user %s or the password", s.to.user),
			fmt.Sprintf("set source.%s.password to the user's password; kafkasync check prints the statement that makes the user", s.cfg.Flavour))
	case mysql.ER_HOST_NOT_PRIVILEGED:
		return wait("the server lets nobody in from this machine", "CREATE USER '"+s.to.user+"'@'%' IDENTIFIED BY '...';")
	case mysql.ER_HOST_IS_BLOCKED:
		return wait("the server has blocked this machine after too many failed connections", "run FLUSH HOSTS (TRUNCATE performance_schema.host_cache) on the server")
	case erSecureTransportRequired:
		return wait("the server takes only connections with TLS", fmt.Sprintf("write tls=%s into source.%s.url", tlsVerifyFull, s.cfg.Flavour))
	}
	return nil
}

const (
	erAccessDeniedNoPassword  = 1698
	erSecureTransportRequired = 3159
)

func (s *Source) tlsFault(err error) *kafkasync.Fault {
	var (
		host    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		verify  *tls.CertificateVerificationError
		network *net.OpError
	)
	wait := func(what, fix string) *kafkasync.Fault {
		return &kafkasync.Fault{Class: kafkasync.Wait, What: what, Fix: fix}
	}
	url := fmt.Sprintf("source.%s.url", s.cfg.Flavour)
	switch {
	case errors.As(err, &host):
		return wait("the server's certificate is not for the host "+host.Host,
			"write a name of the certificate as the host in "+url+", or give the server a certificate for this host; tls=verify-ca does not look at the name")
	case errors.As(err, &unknown):
		return wait("no trusted authority has signed the server's certificate",
			"set ssl-ca in "+url+" to the file with the certificate of the authority that signed the server's")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return wait("the server's certificate has expired, or is not valid yet", "renew it on the server, or correct the clock of this machine")
	case errors.As(err, &network) && network.Op == "remote error" && strings.Contains(network.Error(), "certificate"):
		return wait("the server refuses our client certificate", "set ssl-cert and ssl-key in "+url+" to a certificate that an authority of the server's has signed")
	case errors.As(err, &verify), errors.As(err, &invalid), errors.As(err, &network) && network.Op == "remote error":
		return wait("the server's TLS does not fit", "correct tls, ssl-ca, ssl-cert and ssl-key in "+url+", or the server's certificate")
	case takesNoTLS(err):
		return wait("the server takes no TLS", "give the server a certificate (ssl_cert, ssl_key); or, where nobody else can read the network, write tls=disabled into "+url)
	}
	return nil
}

func (s *Source) networkFault(err error) *kafkasync.Fault {
	url := fmt.Sprintf("source.%s.url", s.cfg.Flavour)
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return &kafkasync.Fault{What: "nothing listens there", Fix: "start the server, or correct host and port in " + url, Unreachable: true}
	case errors.As(err, &dns):
		fault := &kafkasync.Fault{What: fmt.Sprintf("the name %s cannot be looked up", dns.Name), Unreachable: true}
		if dns.IsNotFound {
			fault.Class, fault.Fix = kafkasync.Wait, "correct the host in "+url+", or the DNS"
		}
		return fault
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded), strings.Contains(err.Error(), "i/o timeout"):
		// The library turns the error of a read into text.
		return &kafkasync.Fault{
			What: "the server does not answer", Fix: "correct host and port in " + url + ", or let the connection through the firewall", Unreachable: true,
		}
	}
	return nil
}
