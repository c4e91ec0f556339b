#ifndef ROS_MESSAGES_H
#define ROS_MESSAGES_H

#include <stddef.h>

#define ROS_FRAME_SIZE 64

/* Where something is in the plane, and where it looks (in radians), as seen from a frame. */
struct ros_pose {
    char frame[ROS_FRAME_SIZE];
    double x, y, theta;
};

/* How many bytes a pose takes: its frame's name with its length, and three numbers, little end first. */
size_t ros_pose_size(const struct ros_pose *pose);

/* Write a pose; returns the bytes used, or 0 if they do not fit or the frame has no valid name. */
size_t ros_pose_write(const struct ros_pose *pose, unsigned char *out, size_t size);

/* Read a pose; returns the bytes used, or 0 if they are none. */
size_t ros_pose_read(struct ros_pose *pose, const unsigned char *in, size_t size);

#endif
