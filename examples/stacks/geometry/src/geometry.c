#include "ros/geometry.h"

#include <math.h>
#include <string.h>

static double turn(double angle)
{
    return remainder(angle, 2 * acos(-1.0));
}

struct ros_frame ros_frame_compose(struct ros_frame outer, struct ros_frame inner)
{
    double c = cos(outer.theta), s = sin(outer.theta);
    struct ros_frame found = {
        outer.x + c * inner.x - s * inner.y,
        outer.y + s * inner.x + c * inner.y,
        turn(outer.theta + inner.theta),
    };
    return found;
}

struct ros_frame ros_frame_invert(struct ros_frame frame)
{
    double c = cos(frame.theta), s = sin(frame.theta);
    struct ros_frame found = {-c * frame.x - s * frame.y, s * frame.x - c * frame.y, turn(-frame.theta)};
    return found;
}

int ros_frame_below(const char *name, const char *above)
{
    size_t length = strlen(above);

    return ros_name_valid(name) && ros_name_valid(above) && !strncmp(name, above, length) && name[length] == '/';
}
