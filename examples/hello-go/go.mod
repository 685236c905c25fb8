module example.com/stock

go 1.19

require github.com/BurntSushi/toml v1.2.0

replace github.com/BurntSushi/toml => /usr/share/gocode/src/github.com/BurntSushi/toml
