#include "ros/messages.h"

#include "ros/names.h"

#include <stdint.h>
#include <string.h>

static void write_number(unsigned char *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        out[i] = (unsigned char)(value >> 8 * i);
}

static uint64_t read_number(const unsigned char *in, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)in[i] << 8 * i;
    return value;
}

size_t ros_pose_size(const struct ros_pose *pose)
{
    return 4 + strlen(pose->frame) + 3 * 8;
}

size_t ros_pose_write(const struct ros_pose *pose, unsigned char *out, size_t size)
{
    const double numbers[] = {pose->x, pose->y, pose->theta};
    size_t length = strlen(pose->frame), needed = ros_pose_size(pose);

    if (needed > size || !ros_name_valid(pose->frame))
        return 0;
    write_number(out, length, 4);
    memcpy(out + 4, pose->frame, length);
    for (int i = 0; i < 3; i++) {
        uint64_t bits;
        memcpy(&bits, &numbers[i], 8);
        write_number(out + 4 + length + 8 * i, bits, 8);
    }
    return needed;
}

size_t ros_pose_read(struct ros_pose *pose, const unsigned char *in, size_t size)
{
    double numbers[3];
    size_t length;

    if (size < 4)
        return 0;
    length = read_number(in, 4);
    if (length >= ROS_FRAME_SIZE || size < 4 + length + 3 * 8)
        return 0;
    memcpy(pose->frame, in + 4, length);
    pose->frame[length] = '\0';
    for (int i = 0; i < 3; i++) {
        uint64_t bits = read_number(in + 4 + length + 8 * i, 8);
        memcpy(&numbers[i], &bits, 8);
    }
    pose->x = numbers[0];
    pose->y = numbers[1];
    pose->theta = numbers[2];
    return ros_name_valid(pose->frame) ? 4 + length + 3 * 8 : 0;
}
