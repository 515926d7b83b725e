/* manual.h: cradle-edge(8) and cradle-edge.conf(5), made from the table that the program works by. */
#ifndef CRADLE_EDGE_MANUAL_H
#define CRADLE_EDGE_MANUAL_H

int edge_manual(const char *section); /* "5" or "8": mdoc on stdout; returns the exit code */

#endif
