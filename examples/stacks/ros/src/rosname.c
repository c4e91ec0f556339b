/* rosname NAME [NAMESPACE [NODE]]: print the global form of a name. */
#include "ros/names.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    char out[256];

    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: rosname NAME [NAMESPACE [NODE]]\n");
        return 2;
    }
    if (ros_name_resolve(argv[1], argc > 2 ? argv[2] : "/", argc > 3 ? argv[3] : "/rosname", out, sizeof out)) {
        fprintf(stderr, "rosname: '%s' is no name\n", argv[1]);
        return 1;
    }
    puts(out);
    return 0;
}
