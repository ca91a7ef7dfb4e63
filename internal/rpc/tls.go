package rpc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/livil/gopan/internal/errs"
)

// serverName in every certificate; what counts is who signed it, not where the process runs.
const serverName = "gopan.internal"

// Files are certificates that an operator supplies, for processes that share no data folder.
type Files struct {
	// CA signed every process's certificate; Cert and Key are this one's. PEM.
	CA, Cert, Key string
}

// TLS gives the configuration of both sides of calls between processes, from files.
func (f Files) TLS() (*tls.Config, error) {
	const op = errs.Op("rpc.TLS")
	pemCA, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pemCA) {
		return nil, errs.E(errs.Internal, op, "no certificate in "+f.CA)
	}
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	return mutual(cert, pool), nil
}

func mutual(cert tls.Certificate, pool *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
		RootCAs: pool, ServerName: serverName,
		ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

// Names of the authority's files in the data folder.
const (
	caCertFile = "rpc-ca.crt"
	caKeyFile  = "rpc-ca.key"
)

// Authority gives the configuration of both sides of calls between the processes that share a folder: the first
// makes an authority there, and each signs itself a certificate at its start.
func Authority(dir string) (*tls.Config, error) {
	const op = errs.Op("rpc.Authority")
	lock := flock.New(filepath.Join(dir, "rpc-ca.lock"))
	if err := lock.Lock(); err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	ca, key, err := loadAuthority(dir)
	if errors.Is(err, os.ErrNotExist) {
		ca, key, err = makeAuthority(dir)
	}
	if err := errors.Join(err, lock.Unlock()); err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "gopan process"}, DNSNames: []string{serverName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, own.Public(), key)
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	return mutual(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: own}, pool), nil
}

func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // crypto/rand ends the process rather than fail
	return new(big.Int).SetBytes(b)
}

func loadAuthority(dir string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	if st, err := os.Stat(filepath.Join(dir, caKeyFile)); err == nil && st.Mode().Perm()&0o077 != 0 {
		return nil, nil, fmt.Errorf("others can read %s in %s (mode %v): make it 0600", caKeyFile, dir, st.Mode().Perm())
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, caCertFile), filepath.Join(dir, caKeyFile))
	if err != nil {
		return nil, nil, err
	}
	ca, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New("the authority's key is of another kind")
	}
	return ca, key, nil
}

func makeAuthority(dir string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "gopan installation"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(20, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	// The key first: a certificate without its key would look whole.
	for _, f := range []struct {
		name, kind string
		der        []byte
	}{{caKeyFile, "PRIVATE KEY", keyDER}, {caCertFile, "CERTIFICATE", der}} {
		b := pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der})
		if err := os.WriteFile(filepath.Join(dir, f.name), b, 0o600); err != nil {
			return nil, nil, err
		}
	}
	return loadAuthority(dir)
}
