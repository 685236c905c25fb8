// Stock reads what is on a shelf, in TOML, and says how many jars that are.
package main

import (
	"fmt"
	"io"
	"log"
	"os"

	"github.com/BurntSushi/toml"
)

type shelf struct {
	Jars map[string]int
}

func count(in io.Reader) (int, error) {
	var found shelf
	if _, err := toml.NewDecoder(in).Decode(&found); err != nil {
		return 0, err
	}
	total := 0
	for _, jars := range found.Jars {
		total += jars
	}
	return total, nil
}

func main() {
	total, err := count(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(total, "jars")
}
