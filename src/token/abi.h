/* abi.h: the part of PKCS#11 v2.40 (OASIS standard, header "pkcs11t.h") that this folder calls: types, numbers and the order of
 * the function list. Written from the standard's text; functions that are not called are plain pointers. Numbers of EdDSA are v3.0's.
 */
#ifndef CRADLE_TOKEN_ABI_H
#define CRADLE_TOKEN_ABI_H

typedef unsigned long ck_ulong;
typedef ck_ulong ck_rv;

struct ck_attribute { ck_ulong type; void *value; ck_ulong len; };
struct ck_mechanism { ck_ulong mechanism; void *parameter; ck_ulong len; };
struct ck_version { unsigned char major, minor; };
struct ck_initialize_args { void *create, *destroy, *lock, *unlock; ck_ulong flags; void *reserved; };
struct ck_slot_info { /* texts are padded with blanks, not terminated */
    unsigned char description[64], manufacturer[32];
    ck_ulong flags;
    struct ck_version hardware, firmware;
};
struct ck_token_info {
    unsigned char label[32], manufacturer[32], model[16], serial[16];
    ck_ulong flags, counts[10];
    struct ck_version hardware, firmware;
    unsigned char utc_time[16];
};

enum {
    CKF_OS_LOCKING_OK_ = 2, CKF_RW_SESSION_ = 2, CKF_SERIAL_SESSION_ = 4, CKU_USER_ = 1,
    CKF_LOGIN_REQUIRED_ = 4, CKF_PROTECTED_AUTHENTICATION_PATH_ = 0x100, CKF_TOKEN_INITIALIZED_ = 0x400,
    CKO_PUBLIC_KEY_ = 2, CKO_PRIVATE_KEY_ = 3, CKK_RSA_ = 0, CKK_EC_ = 3, CKK_EC_EDWARDS_ = 0x40,
    CKA_CLASS_ = 0, CKA_TOKEN_ = 1, CKA_PRIVATE_ = 2, CKA_LABEL_ = 3, CKA_KEY_TYPE_ = 0x100, CKA_ID_ = 0x102, CKA_SENSITIVE_ = 0x103,
    CKA_SIGN_ = 0x108, CKA_VERIFY_ = 0x10a, CKA_MODULUS_ = 0x120, CKA_MODULUS_BITS_ = 0x121, CKA_PUBLIC_EXPONENT_ = 0x122,
    CKA_EXTRACTABLE_ = 0x162, CKA_EC_PARAMS_ = 0x180, CKA_EC_POINT_ = 0x181,
    CKM_RSA_PKCS_KEY_PAIR_GEN_ = 0, CKM_RSA_PKCS_ = 1, CKM_EC_KEY_PAIR_GEN_ = 0x1040, CKM_ECDSA_ = 0x1041,
    CKM_EC_EDWARDS_KEY_PAIR_GEN_ = 0x1055, CKM_EDDSA_ = 0x1057,
    CKR_OK_ = 0, CKR_SLOT_ID_INVALID_ = 3, CKR_GENERAL_ERROR_ = 5, CKR_FUNCTION_FAILED_ = 6, CKR_CANT_LOCK_ = 0xa, CKR_DEVICE_ERROR_ = 0x30,
    CKR_DEVICE_MEMORY_ = 0x31, CKR_DEVICE_REMOVED_ = 0x32, CKR_KEY_HANDLE_INVALID_ = 0x60, CKR_OBJECT_HANDLE_INVALID_ = 0x82,
    CKR_PIN_INCORRECT_ = 0xa0, CKR_PIN_INVALID_ = 0xa1, CKR_PIN_LEN_RANGE_ = 0xa2, CKR_PIN_EXPIRED_ = 0xa3, CKR_PIN_LOCKED_ = 0xa4,
    CKR_SESSION_CLOSED_ = 0xb0, CKR_SESSION_COUNT_ = 0xb1, CKR_SESSION_HANDLE_INVALID_ = 0xb3, CKR_TOKEN_NOT_PRESENT_ = 0xe0,
    CKR_TOKEN_NOT_RECOGNIZED_ = 0xe1, CKR_USER_ALREADY_LOGGED_IN_ = 0x100, CKR_USER_NOT_LOGGED_IN_ = 0x101,
    CKR_CRYPTOKI_NOT_INITIALIZED_ = 0x190, CKR_ALREADY_INITIALIZED_ = 0x191,
};

/* The function list in the order of the standard; "skip" stands for functions that we do not call. */
struct ck_functions {
    struct ck_version version;
    ck_rv (*initialize)(void *args);
    ck_rv (*finalize)(void *reserved);
    void *skip_a[2];                              /* C_GetInfo C_GetFunctionList */
    ck_rv (*get_slot_list)(unsigned char with_token, ck_ulong *slots, ck_ulong *count);
    ck_rv (*get_slot_info)(ck_ulong slot, struct ck_slot_info *info);
    ck_rv (*get_token_info)(ck_ulong slot, struct ck_token_info *info);
    void *skip_b[5];                              /* C_GetMechanismList C_GetMechanismInfo C_InitToken C_InitPIN C_SetPIN */
    ck_rv (*open_session)(ck_ulong slot, ck_ulong flags, void *app, void *notify, ck_ulong *session);
    ck_rv (*close_session)(ck_ulong session);
    ck_rv (*close_all_sessions)(ck_ulong slot);
    void *skip_c[3];                              /* C_GetSessionInfo C_GetOperationState C_SetOperationState */
    ck_rv (*login)(ck_ulong session, ck_ulong user, const unsigned char *pin, ck_ulong len);
    void *skip_d[3];                              /* C_Logout C_CreateObject C_CopyObject */
    ck_rv (*destroy)(ck_ulong session, ck_ulong object);
    void *skip_h;                                 /* C_GetObjectSize */
    ck_rv (*get_attribute)(ck_ulong session, ck_ulong object, struct ck_attribute *t, ck_ulong count);
    void *skip_e;                                 /* C_SetAttributeValue */
    ck_rv (*find_init)(ck_ulong session, struct ck_attribute *t, ck_ulong count);
    ck_rv (*find)(ck_ulong session, ck_ulong *objects, ck_ulong max, ck_ulong *count);
    ck_rv (*find_final)(ck_ulong session);
    void *skip_f[13];  /* C_Encrypt{Init,,Update,Final} C_Decrypt{Init,,Update,Final} C_Digest{Init,,Update,Key,Final} */
    ck_rv (*sign_init)(ck_ulong session, struct ck_mechanism *m, ck_ulong key);
    ck_rv (*sign)(ck_ulong session, const unsigned char *data, ck_ulong len, unsigned char *sig, ck_ulong *sig_len);
    void *skip_g[15];  /* C_SignUpdate … C_DecryptVerifyUpdate, C_GenerateKey */
    ck_rv (*generate_pair)(ck_ulong session, struct ck_mechanism *m, struct ck_attribute *pub, ck_ulong npub, struct ck_attribute *priv,
                           ck_ulong npriv, ck_ulong *pub_out, ck_ulong *priv_out);
};

#endif
