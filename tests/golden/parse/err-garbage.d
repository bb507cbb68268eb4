BEGIN {  ÿ; }
`~#
