# SPDX-License-Identifier: ISC
# docs/configuration.md, which the program prints from its table of keys, as starttlsd.ini(5): the form
# of the two is all that this knows. mdoc wants each sentence in a line of its own.

# Markdown's `word` in bold.
function mdoc(text,    part, count, i) {
    count = split(text, part, "`")
    text = part[1]
    for (i = 2; i <= count; i++) {
        if (i % 2 == 0)
            gsub(/-/, "\\-", part[i])
        text = text (i % 2 == 0 ? "\\fB" : "\\fR") part[i]
    }
    gsub(/[.] /, ".\n", text)
    return text
}

function end_list() {
    if (in_list)
        print ".El"
    in_list = 0
}

NR == 1 {
    print ".\\\" SPDX-License-Identifier: ISC"
    print ".\\\" Made of docs/configuration.md by deploy/man/starttlsd.ini.awk."
    print ".Dd November 29, 2026\n.Dt STARTTLSD.INI 5\n.Os"
    print ".Sh NAME\n.Nm starttlsd.ini\n.Nd configuration of the STARTTLS gateway for mail servers"
    print ".Sh DESCRIPTION"
    next
}

/^The file is / {
    sub(/ This page is printed.*/, "")
    print mdoc($0)
}

/^- / {
    if (!in_list)
        print ".Bl -bullet -compact"
    in_list = 1
    print ".It\n" mdoc(substr($0, 3))
}

/^## / {
    end_list()
    gsub(/`/, "")
    print ".Sh THE KEYS OF " substr($0, 4)
    print ".Bl -tag -width 4n"
    in_list = 1
}

/^[|] `/ {
    split($0, cell, / [|] /)
    gsub(/[|] |`/, "", cell[1])
    sub(/ [|]$/, "", cell[4])
    print ".It Ic " cell[1]
    print "Takes: " mdoc(cell[2]) ".\nDefault: " mdoc(cell[3]) ".\n.Pp\n" mdoc(cell[4])
}

END {
    end_list()
    print ".Sh EXAMPLES"
    print "Submission with STARTTLS in front of an old server:"
    print ".Bd -literal -offset indent"
    print "[defaults]\ncertificate = /etc/starttlsd/chain.pem /etc/starttlsd/key.pem\nidentity = none\n"
    print "[service submission]\nprotocol = smtp\nlisten = *:587\nbackend = 192.0.2.10:25\nrelay = login"
    print ".Ed"
    print ".Sh SEE ALSO\n.Xr starttlsd 8"
}
