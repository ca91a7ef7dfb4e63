package upload_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"testing"
)

// shattered gives two beginnings, of 320 bytes, of contents whose SHA-1 is the same whatever follows: Stevens et al.,
// "The first collision for full SHA-1", 2017, https://shattered.io.
func shattered(t *testing.T) [2][]byte {
	t.Helper()
	const common = "255044462d312e330a25e2e3cfd30a0a0a312030206f626a0a3c3c2f57696474682032203020522f4865696768742033203020522f5479706520" +
		"34203020522f537562747970652035203020522f46696c7465722036203020522f436f6c6f7253706163652037203020522f4c656e67746820" +
		"38203020522f42697473506572436f6d706f6e656e7420383e3e0a73747265616d0affd8fffe00245348412d3120697320646561642121212121" +
		"852fec092339759c39b1a1c63c4c97e1fffe01"
	var out [2][]byte
	for i, own := range [2]string{
		"7f46dc93a6b67e013b029aaa1db2560b45ca67d688c7f84b8c4c791fe02b3df614f86db1690901c56b45c1530afedfb76038e972722fe7ad728f" +
			"0e4904e046c230570fe9d41398abe12ef5bc942be33542a4802d98b5d70f2a332ec37fac3514e74ddc0f2cc1a874cd0c78305a2156646130" +
			"9789606bd0bf3f98cda8044629a1",
		"7346dc9166b67e118f029ab621b2560ff9ca67cca8c7f85ba84c79030c2b3de218f86db3a90901d5df45c14f26fedfb3dc38e96ac22fe7bd728f" +
			"0e45bce046d23c570feb141398bb552ef5a0a82be331fea48037b8b5d71f0e332edf93ac3500eb4ddc0decc1a864790c782c76215660dd30" +
			"9791d06bd0af3f98cda4bc4629b1",
	} {
		var err error
		if out[i], err = hex.DecodeString(common + own); err != nil || len(out[i]) != 320 {
			t.Fatalf("%d bytes, %v", len(out[i]), err)
		}
	}
	if bytes.Equal(out[0], out[1]) || sha1.Sum(out[0]) != sha1.Sum(out[1]) {
		t.Fatal("they do not collide")
	}
	return out
}

func sha1Of(b []byte) string {
	sum := sha1.Sum(b)
	return base64.StdEncoding.EncodeToString(sum[:])
}
