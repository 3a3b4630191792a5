"""Reader studies: do people tell edited images from real ones, and does what was asked happen?

    design     which images, in which order, so that nothing but the pictures tells
    draw       the cases of a finished run, and what its methods answer
    blinding   who sees what under which id; key: the truth, kept apart
    page, kit  one HTML file a reader; all files of a study
    answers    what a page saves, checked
    roc, mrmc, agreement, analysis, summary   what the answers say
    stand_in   a classifier as a reader, named as such
"""
