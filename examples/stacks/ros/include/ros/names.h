#ifndef ROS_NAMES_H
#define ROS_NAMES_H

#include <stddef.h>

/* Whether a name is one: letters, digits and underscores in parts that '/' separates, '~' only in front,
   and every part begins with a letter. */
int ros_name_valid(const char *name);

/* Write the global form of a name into out: '/a' stays, '~a' is below the node, 'a' is below the namespace.
   Returns 0, or -1 if the name is none or does not fit. */
int ros_name_resolve(const char *name, const char *name_space, const char *node, char *out, size_t size);

#endif
