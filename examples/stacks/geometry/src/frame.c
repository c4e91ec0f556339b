/* frame X Y THETA [X Y THETA]...: compose frames, outermost first, and print the result. */
#include "ros/geometry.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct ros_frame found = {0, 0, 0};

    if (argc < 4 || (argc - 1) % 3) {
        fprintf(stderr, "usage: frame X Y THETA [X Y THETA]...\n");
        return 2;
    }
    for (int i = 1; i < argc; i += 3) {
        struct ros_frame next = {atof(argv[i]), atof(argv[i + 1]), atof(argv[i + 2])};
        found = ros_frame_compose(found, next);
    }
    printf("%.6g %.6g %.6g\n", found.x, found.y, found.theta);
    return 0;
}
