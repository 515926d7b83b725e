/* pkcs11_abi.h: the part of PKCS#11 v2.40 (OASIS standard, header "pkcs11t.h") that pkcs11.c calls: types, numbers and the order of
 * the function list. Written from the standard's text; functions that are not called are plain pointers. */
#ifndef CRADLE_TOKEN_PKCS11_ABI_H
#define CRADLE_TOKEN_PKCS11_ABI_H

typedef unsigned long ck_ulong;
typedef ck_ulong ck_rv;

struct ck_attribute { ck_ulong type; void *value; ck_ulong len; };
struct ck_mechanism { ck_ulong mechanism; void *parameter; ck_ulong len; };
struct ck_version { unsigned char major, minor; };
struct ck_token_info { /* 5.6 of the base specification; label is padded with blanks, not terminated */
    unsigned char label[32], manufacturer[32], model[16], serial[16];
    ck_ulong flags, counts[10];
    struct ck_version hardware, firmware;
    unsigned char utc_time[16];
};

enum {
    CKF_TOKEN_INITIALIZED_ = 0x400, CKF_RW_SESSION_ = 2, CKF_SERIAL_SESSION_ = 4, CKU_USER_ = 1,
    CKO_PUBLIC_KEY_ = 2, CKO_PRIVATE_KEY_ = 3, CKK_EC_ = 3,
    CKA_CLASS_ = 0, CKA_TOKEN_ = 1, CKA_PRIVATE_ = 2, CKA_LABEL_ = 3, CKA_KEY_TYPE_ = 0x100, CKA_ID_ = 0x102, CKA_SENSITIVE_ = 0x103,
    CKA_SIGN_ = 0x108, CKA_VERIFY_ = 0x10a, CKA_EXTRACTABLE_ = 0x162, CKA_EC_PARAMS_ = 0x180, CKA_EC_POINT_ = 0x181,
    CKM_EC_KEY_PAIR_GEN_ = 0x1040, CKM_ECDSA_ = 0x1041,
    CKR_OK_ = 0, CKR_PIN_INCORRECT_ = 0xa0, CKR_PIN_LOCKED_ = 0xa4, CKR_USER_ALREADY_LOGGED_IN_ = 0x100, CKR_ALREADY_INITIALIZED_ = 0x191,
};

/* The function list in the order of the standard; "skip" counts functions that we do not call. */
struct ck_functions {
    struct ck_version version;
    ck_rv (*initialize)(void *args);
    ck_rv (*finalize)(void *reserved);
    void *skip_a[2];                              /* C_GetInfo C_GetFunctionList */
    ck_rv (*get_slot_list)(unsigned char with_token, ck_ulong *slots, ck_ulong *count);
    void *skip_b;                                 /* C_GetSlotInfo */
    ck_rv (*get_token_info)(ck_ulong slot, struct ck_token_info *info);
    void *skip_c[5];                              /* C_GetMechanismList C_GetMechanismInfo C_InitToken C_InitPIN C_SetPIN */
    ck_rv (*open_session)(ck_ulong slot, ck_ulong flags, void *app, void *notify, ck_ulong *session);
    ck_rv (*close_session)(ck_ulong session);
    void *skip_d[4];                              /* C_CloseAllSessions C_GetSessionInfo C_GetOperationState C_SetOperationState */
    ck_rv (*login)(ck_ulong session, ck_ulong user, const unsigned char *pin, ck_ulong len);
    void *skip_e[5];                              /* C_Logout C_CreateObject C_CopyObject C_DestroyObject C_GetObjectSize */
    ck_rv (*get_attribute)(ck_ulong session, ck_ulong object, struct ck_attribute *t, ck_ulong count);
    void *skip_f;                                 /* C_SetAttributeValue */
    ck_rv (*find_init)(ck_ulong session, struct ck_attribute *t, ck_ulong count);
    ck_rv (*find)(ck_ulong session, ck_ulong *objects, ck_ulong max, ck_ulong *count);
    ck_rv (*find_final)(ck_ulong session);
    void *skip_g[13];  /* C_Encrypt{Init,,Update,Final} C_Decrypt{Init,,Update,Final} C_Digest{Init,,Update,Key,Final} */
    ck_rv (*sign_init)(ck_ulong session, struct ck_mechanism *m, ck_ulong key);
    ck_rv (*sign)(ck_ulong session, const unsigned char *data, ck_ulong len, unsigned char *sig, ck_ulong *sig_len);
    void *skip_h[15];  /* C_SignUpdate … C_DecryptVerifyUpdate, C_GenerateKey */
    ck_rv (*generate_pair)(ck_ulong session, struct ck_mechanism *m, struct ck_attribute *pub, ck_ulong npub, struct ck_attribute *priv,
                           ck_ulong npriv, ck_ulong *pub_out, ck_ulong *priv_out);
};

#endif
