# maker.sh: another maker of boards, for tests of IDevIDs: a root, a CA below it, and boards with a hardwareModuleName (RFC 4108), all made by openssl. Source
# before est.sh, and call in the folder where keys and certificates are to lie.
maker() { # NAME SUBJECT BY EXTENSIONS: NAME.key NAME.pem
    key "$1" >/dev/null
    openssl req -new -key "$1.key" -subj "$2" -out m.csr 2>/dev/null
    printf '%b' "$4" >m.ext
    if [ -n "$3" ]; then set -- "$1" -CA "$3.pem" -CAkey "$3.key" -set_serial "0x7$(openssl rand -hex 8)"; else set -- "$1" -signkey "$1.key"; fi
    name=$1; shift
    openssl x509 -req -in m.csr "$@" -days 7000 -extfile m.ext -out "$name.pem" 2>/dev/null
}
AS_CA='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n'
board() { # NAME SERIAL [BY]: an IDevID
    maker "$1" "/O=Boards Inc/CN=board $2/serialNumber=$2" "${3:-mca}" "keyUsage=critical,digitalSignature\nauthorityKeyIdentifier=keyid\nsubjectAltName=otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:hw\n[hw]\ntype=OID:1.3.6.1.4.1.32473.7\nserial=FORMAT:ASCII,OCTETSTRING:HW-$2\n"
}
maker_cas() {
    maker mroot "/O=Boards Inc/CN=Boards Root" "" "$AS_CA"
    maker mca "/O=Boards Inc/CN=Boards Device CA" mroot "$AS_CA"
}
