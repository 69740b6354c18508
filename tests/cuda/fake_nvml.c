/* A stand-in for NVML, NVIDIA's management library, for machines without a GPU.

   FAKE_NVML_GPUS lists the devices, each by its bytes of memory: "8000000000,24000000000".
   "80000000000/10000000000/20000000000" is one that is cut into two MIG instances, and 0 one that
   shares the host's memory. Only what distributed, dask-cuda and bigunet ask for is here.

   A device handle is 100 * (index + 1), and one more for each of its MIG instances. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUCCESS 0
#define INVALID_ARGUMENT 2
#define NOT_SUPPORTED 3
#define NOT_FOUND 6
#define MOST_PARTS 16

typedef struct {
    unsigned long long total, free, used;
} Memory;

typedef struct {
    unsigned int gpu, memory;
} Utilization;

/* Bytes of a device and then of its instances; how many numbers those are, 0 past the last device. */
static int parts_of(unsigned int index, unsigned long long bytes[MOST_PARTS]) {
    const char *at = getenv("FAKE_NVML_GPUS");
    if (!at || !*at) return 0;
    for (; index > 0; index--) {
        at = strchr(at, ',');
        if (!at) return 0;
        at++;
    }
    int count = 0;
    for (;;) {
        char *end;
        bytes[count++] = strtoull(at, &end, 10);
        if (*end != '/' || count == MOST_PARTS) return count;
        at = end + 1;
    }
}

static unsigned int device_of(void *handle) { return (unsigned int)((uintptr_t)handle / 100 - 1); }
static unsigned int instance_of(void *handle) { return (unsigned int)((uintptr_t)handle % 100); }
static void *handle_of(unsigned int device, unsigned int instance) {
    return (void *)(uintptr_t)(100 * (device + 1) + instance);
}

int nvmlInit_v2(void) { return SUCCESS; }
int nvmlInitWithFlags(unsigned int flags) { return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int result) {
    return result == NOT_SUPPORTED ? "Not Supported" : result == NOT_FOUND ? "Not Found" : "Invalid Argument";
}

int nvmlDeviceGetCount_v2(unsigned int *count) {
    unsigned long long bytes[MOST_PARTS];
    for (*count = 0; parts_of(*count, bytes); ++*count) {}
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **handle) {
    unsigned long long bytes[MOST_PARTS];
    if (!parts_of(index, bytes)) return INVALID_ARGUMENT;
    *handle = handle_of(index, 0);
    return SUCCESS;
}

int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned int length) {
    snprintf(uuid, length, "%s-0000000%u-0000-0000-0000-00000000000%u", instance_of(handle) ? "MIG" : "GPU",
             instance_of(handle), device_of(handle));
    return SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    unsigned long long bytes[MOST_PARTS];
    char found[96];
    int parts;
    for (unsigned int device = 0; (parts = parts_of(device, bytes)); device++) {
        for (int instance = 0; instance < parts; instance++) {
            *handle = handle_of(device, instance);
            nvmlDeviceGetUUID(*handle, found, sizeof found);
            if (!strcmp(uuid, found)) return SUCCESS;
        }
    }
    return NOT_FOUND;
}

int nvmlDeviceGetIndex(void *handle, unsigned int *index) {
    *index = device_of(handle);
    return SUCCESS;
}

int nvmlDeviceGetName(void *handle, char *name, unsigned int length) {
    snprintf(name, length, "Stand-in GPU");
    return SUCCESS;
}

int nvmlSystemGetDriverVersion(char *version, unsigned int length) {
    snprintf(version, length, "580.65.06");
    return SUCCESS;
}

int nvmlSystemGetCudaDriverVersion_v2(int *version) {
    *version = 13000;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *handle, Memory *memory) {
    unsigned long long bytes[MOST_PARTS];
    parts_of(device_of(handle), bytes);
    memory->total = memory->free = bytes[instance_of(handle)];
    memory->used = 0;
    return memory->total ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetUtilizationRates(void *handle, Utilization *rates) {
    rates->gpu = rates->memory = 0;
    return SUCCESS;
}

/* All are as near to every core. */
int nvmlDeviceGetCpuAffinity(void *handle, unsigned int size, unsigned long *cores) {
    memset(cores, 0xff, size * sizeof *cores);
    return SUCCESS;
}

int nvmlDeviceGetMigMode(void *handle, unsigned int *now, unsigned int *next) {
    unsigned long long bytes[MOST_PARTS];
    *now = *next = parts_of(device_of(handle), bytes) > 1;
    return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned int *count) {
    *count = 7;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned int index, void **instance) {
    unsigned long long bytes[MOST_PARTS];
    if ((int)index + 1 >= parts_of(device_of(handle), bytes)) return NOT_FOUND;
    *instance = handle_of(device_of(handle), index + 1);
    return SUCCESS;
}

int nvmlDeviceIsMigDeviceHandle(void *handle, unsigned int *is_instance) {
    *is_instance = instance_of(handle) > 0;
    return SUCCESS;
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *instance, void **handle) {
    *handle = handle_of(device_of(instance), 0);
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned int *count, void *processes) {
    *count = 0;
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v2(void *handle, unsigned int *count, void *processes) {
    *count = 0;
    return SUCCESS;
}
