"""Values to and from their JSON text. Pure: imports nothing but ``errors``.

``codecs`` and ``codec_choice`` write and read one property's value. ``allow_list`` and
``sdk_types`` name the classes that stored data may hold. ``plain_classes`` takes ordinary classes
apart and puts them together. ``jsonpickle`` reads and writes the tags of the SDK's own library.
``json_text`` is JSON as bytes. ``decode_problems`` says what is wrong with a stored value without
showing it.
"""
