/* navigate [CELL [X Y THETA]]: read a map from standard input, lines of '.', '#', one 'S' and one 'G', and write the
   way from S to G as lines "frame x y theta". CELL is the size of a cell, X Y THETA the map's frame in the world. */
#include "ros/geometry.h"
#include "ros/grid.h"
#include "ros/messages.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX 256

int main(int argc, char **argv)
{
    static unsigned char cells[MAX * MAX], bytes[256];
    static int way[MAX * MAX];
    struct ros_grid grid = {0, 0, cells};
    struct ros_frame map = {0, 0, 0};
    double size = argc > 1 ? atof(argv[1]) : 1;
    int from = -1, to = -1, length;
    char line[MAX + 2];

    if (argc == 5)
        map = (struct ros_frame){atof(argv[2]), atof(argv[3]), atof(argv[4])};
    while (fgets(line, sizeof line, stdin) && grid.height < MAX) {
        int width = (int)strcspn(line, "\n");
        if (grid.width == 0)
            grid.width = width;
        if (width != grid.width || width > MAX) {
            fprintf(stderr, "navigate: line %d is not as wide as the first\n", grid.height + 1);
            return 2;
        }
        for (int x = 0; x < width; x++) {
            int cell = grid.height * width + x;
            cells[cell] = line[x] == '#';
            if (line[x] == 'S')
                from = cell;
            if (line[x] == 'G')
                to = cell;
        }
        grid.height++;
    }
    length = ros_grid_way(&grid, from, to, way);
    if (length == 0) {
        fprintf(stderr, "navigate: there is no way\n");
        return 1;
    }
    for (int i = 0; i < length; i++) {
        int x = way[i] % grid.width, y = way[i] / grid.width, ahead = way[i < length - 1 ? i + 1 : i];
        struct ros_frame cell = {(x + 0.5) * size, (y + 0.5) * size,
                                 atan2(ahead / grid.width - y, ahead % grid.width - x)};
        struct ros_frame found = ros_frame_compose(map, cell);
        struct ros_pose pose = {"map", found.x, found.y, found.theta};
        if (ros_pose_write(&pose, bytes, sizeof bytes) == 0)
            return 1;
        printf("%s %g %g %g\n", pose.frame, pose.x, pose.y, pose.theta);
    }
    return 0;
}
