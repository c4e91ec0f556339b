#ifndef ROS_GEOMETRY_H
#define ROS_GEOMETRY_H

#include "ros/names.h"

/* A frame in the plane: where its origin lies in its parent, and by how much (in radians) it is turned. */
struct ros_frame {
    double x, y, theta;
};

/* What a frame inside a frame is in the outer one's parent. */
struct ros_frame ros_frame_compose(struct ros_frame outer, struct ros_frame inner);

/* The parent as seen from the frame. */
struct ros_frame ros_frame_invert(struct ros_frame frame);

/* Whether one named frame is below another: /map/base is below /map. */
int ros_frame_below(const char *name, const char *above);

#endif
