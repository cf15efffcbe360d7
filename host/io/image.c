#include "io/image.h"

#include <libexif/exif-data.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/platform.h"
#include "io/image_internal.h"

tagmask_status tm_image_check_size(const char *name, uint64_t width, uint64_t height, size_t extra_per_pixel,
                                   tm_error *err) {
    if (!width || !height) {
        return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: is %llu x %llu pixels; expected at least one", name,
                       (unsigned long long)width, (unsigned long long)height);
    }
    if (width > TM_IMAGE_MAX_SIDE || height > TM_IMAGE_MAX_SIDE || width * height > TM_IMAGE_MAX_PIXELS) {
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "%s: is %llu x %llu pixels; expected sides of at most %u and at most %u megapixels; scale it "
                       "down",
                       name, (unsigned long long)width, (unsigned long long)height, TM_IMAGE_MAX_SIDE,
                       TM_IMAGE_MAX_PIXELS / 1000000u);
    }
    uint64_t needed = width * height * (3 + 3 + extra_per_pixel), available = tm_available_memory();
    if (needed <= available) return TAGMASK_OK;
    return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: decoding needs %llu MiB of memory, %llu MiB are available", name,
                   (unsigned long long)(needed >> 20), (unsigned long long)(available >> 20));
}

// ---- EXIF orientation -----------------------------------------------------------------------------------------------

int tm_exif_orientation(const uint8_t *exif, size_t size) {
    static const uint8_t head[6] = "Exif\0";
    uint8_t *with_head = NULL;
    int orientation = 1;
    if (size < sizeof head || memcmp(exif, head, sizeof head)) {  // PNG leaves the head out, libexif wants it
        size = TM_MIN(size, (size_t)65000);
        with_head = malloc(sizeof head + size);
        if (!with_head) return 1;
        memcpy(with_head, head, sizeof head);
        memcpy(with_head + sizeof head, exif, size);
        exif = with_head;
        size += sizeof head;
    }
    ExifData *data = exif_data_new();
    if (data) {
        exif_data_load_data(data, exif, (unsigned int)TM_MIN(size, (size_t)65535));
        ExifEntry *entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
        if (entry && entry->format == EXIF_FORMAT_SHORT && entry->size >= 2) {
            int value = exif_get_short(entry->data, exif_data_get_byte_order(data));
            if (value >= 1 && value <= 8) orientation = value;
        }
        exif_data_unref(data);
    }
    free(with_head);
    return orientation;
}

// Where the pixel in the top left corner of the upright picture lies in the stored one, and the steps from there along
// the upright picture's x and y (EXIF 2.32, tag 0x0112).
static tagmask_status make_upright(const char *name, tagmask_image *image, int orientation, tm_error *err) {
    ptrdiff_t w = image->width, h = image->height;
    static const struct {
        bool from_right, from_bottom, swapped;
    } ways[9] = {{0}, {0}, {1, 0, 0}, {1, 1, 0}, {0, 1, 0}, {0, 0, 1}, {0, 1, 1}, {1, 1, 1}, {1, 0, 1}};
    bool swapped = ways[orientation].swapped;
    ptrdiff_t along_x = ways[orientation].from_right ? -1 : 1, along_y = ways[orientation].from_bottom ? -w : w;
    ptrdiff_t first = (ways[orientation].from_right ? w - 1 : 0) + (ways[orientation].from_bottom ? (h - 1) * w : 0);
    ptrdiff_t step_x = swapped ? along_y : along_x, step_y = swapped ? along_x : along_y;
    ptrdiff_t out_w = swapped ? h : w, out_h = swapped ? w : h;
    if (orientation == 1) return TAGMASK_OK;
    uint8_t *upright = malloc((size_t)w * (size_t)h * 3), *to = upright;
    if (!upright) {
        return tm_fail(err, TAGMASK_ERROR_MEMORY, "%s: no memory to turn its %u x %u pixels upright", name,
                       image->width, image->height);
    }
    for (ptrdiff_t y = 0; y < out_h; y++) {
        for (ptrdiff_t x = 0; x < out_w; x++, to += 3) {
            memcpy(to, image->pixels + 3 * (first + x * step_x + y * step_y), 3);
        }
    }
    free((void *)image->pixels);
    image->pixels = upright;
    image->width = (uint32_t)out_w;
    image->height = (uint32_t)out_h;
    return TAGMASK_OK;
}

// ---- Which kind of file it is ---------------------------------------------------------------------------------------

// What photos are often kept in, and what is often found in a photo's place.
static const struct {
    size_t offset, length;
    const char *bytes, *name;
} other_kinds[] = {
    {0, 4, "GIF8", "GIF picture"},
    {8, 4, "WEBP", "WebP picture"},
    {0, 2, "BM", "BMP picture"},
    {0, 4, "II*\0", "TIFF picture or a camera's raw file"},
    {0, 4, "MM\0*", "TIFF picture or a camera's raw file"},
    {0, 8, "FUJIFILM", "camera's raw file"},
    {4, 8, "ftypcrx ", "camera's raw file"},
    {4, 8, "ftypavif", "AVIF picture"},
    {4, 8, "ftypavis", "AVIF picture"},
    {4, 8, "ftypheic", "HEIC picture"},
    {4, 8, "ftypheix", "HEIC picture"},
    {4, 8, "ftyphevc", "HEIC picture"},
    {4, 8, "ftypmif1", "HEIF picture"},
    {4, 8, "ftypmsf1", "HEIF picture"},
    {4, 4, "ftyp", "film"},
    {0, 2, "\xff\x0a", "JPEG XL picture"},
    {4, 4, "JXL ", "JPEG XL picture"},
    {4, 4, "jP  ", "JPEG 2000 picture"},
    {0, 4, "8BPS", "Photoshop file"},
    {0, 4, "\0\0\1\0", "Windows icon"},
    {0, 3, "P5\n", "PGM picture"},
    {0, 3, "P6\n", "PPM picture"},
    {0, 4, "%PDF", "PDF file"},
    {0, 4, "<svg", "SVG picture"},
    {0, 5, "<?xml", "XML file"},
    {0, 5, "<!DOC", "web page"},
    {0, 5, "<html", "web page"},
    {0, 4, "PK\3\4", "ZIP archive"},
    {0, 11, "version htt", "pointer of Git LFS (git lfs pull fetches the file)"},
};

static tagmask_status unknown_kind(const char *name, const uint8_t *bytes, size_t size, tm_error *err) {
    if (!size) return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: is empty; expected a PNG or JPEG picture", name);
    for (size_t i = 0; i < TM_ARRAY_LEN(other_kinds); i++) {
        if (size < other_kinds[i].offset + other_kinds[i].length) continue;
        if (memcmp(bytes + other_kinds[i].offset, other_kinds[i].bytes, other_kinds[i].length)) continue;
        return tm_fail(err, TAGMASK_ERROR_UNSUPPORTED,
                       "%s: looks like a %s and not like a PNG or JPEG picture; convert it to one of these first", name,
                       other_kinds[i].name);
    }
    return tm_fail(err, TAGMASK_ERROR_FORMAT, "%s: is not a picture that is known here; expected PNG or JPEG", name);
}

tagmask_status tm_image_decode(const char *name, const uint8_t *bytes, size_t size, tagmask_image *image,
                               tm_error *err) {
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    tagmask_image decoded = {.struct_size = sizeof decoded};
    int orientation = 1;
    tagmask_status status;
    if (size >= sizeof png && !memcmp(bytes, png, sizeof png)) {
        status = tm_png_decode(name, bytes, size, &decoded, &orientation, err);
    } else if (size >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff) {
        status = tm_jpeg_decode(name, bytes, size, &decoded, &orientation, err);
    } else {
        status = unknown_kind(name, bytes, size, err);
    }
    if (status == TAGMASK_OK) status = make_upright(name, &decoded, orientation, err);
    if (status != TAGMASK_OK) {
        tagmask_image_release(&decoded);
        return status;
    }
    decoded.stride = (size_t)decoded.width * 3;
    *image = decoded;
    return TAGMASK_OK;
}

tagmask_status tagmask_image_read(const char *path, tagmask_image *image, tagmask_error *error) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (!path || !image) {
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_image_read: path and image must not be NULL");
    }
    tagmask_image decoded;
    if (image->struct_size < sizeof decoded) {
        return tm_fail(error, TAGMASK_ERROR_ARGUMENT, "tagmask_image_read: the image's struct_size is not set");
    }
    TM_TRY(tm_read_file(path, TM_IMAGE_MAX_FILE_BYTES, &bytes, &size, error));
    tagmask_status status = tm_image_decode(path, bytes, size, &decoded, error);
    free(bytes);
    if (status == TAGMASK_OK) tm_struct_write(image, &decoded, sizeof decoded);
    return status;
}

void tagmask_image_release(tagmask_image *image) {
    if (!image) return;
    free((void *)image->pixels);
    image->pixels = NULL;
    image->width = image->height = 0;
}
