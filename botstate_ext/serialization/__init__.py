"""Values to and from their JSON text. Pure: imports nothing but ``errors``.

``codec`` says what writes and reads one property's value; ``typed_codec``, ``untyped_codec`` and
``json_codec`` do, and ``codec_choice`` chooses. ``allow_list`` and
``sdk_types`` name the classes that stored data may hold. ``plain_classes`` takes ordinary classes
apart and puts them together. ``jsonpickle`` reads and writes the tags of the SDK's own library.
``json_text`` is JSON as bytes. ``decode_problems`` says what is wrong with a stored value without
showing it.
"""
