module github.com/livil/gopan/tools/cluster

go 1.26.8
