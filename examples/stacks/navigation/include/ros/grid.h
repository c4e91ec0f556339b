#ifndef ROS_GRID_H
#define ROS_GRID_H

/* A grid of cells; those that are not 0 cannot be entered. */
struct ros_grid {
    int width, height;
    const unsigned char *cells;
};

/* The shortest way from one cell to another, in steps to the four neighbours. The cells of the way, both ends
   included, are written into way (room for width * height); returns their number, 0 if there is no way. */
int ros_grid_way(const struct ros_grid *grid, int from, int to, int *way);

#endif
